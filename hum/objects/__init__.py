"""Recordings and files of texts in one store: a directory, or a bucket that speaks S3."""
