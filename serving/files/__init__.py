"""Files that clients upload, and the batches made of them: `/v1/files` and `/v1/batches`."""
