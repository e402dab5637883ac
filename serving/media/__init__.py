"""The media path: what a request's images, sounds and videos are, and how they are loaded."""
