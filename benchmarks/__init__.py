"""Side by side with a plain script: `make bench`."""
