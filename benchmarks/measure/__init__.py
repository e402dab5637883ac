"""What is measured of requests and servers, and how it is summed up."""
