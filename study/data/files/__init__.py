"""Image files, mask files, folders and archives: listing, reading, decoding, checksums."""
