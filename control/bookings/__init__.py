"""The organization's own book: resources, services, holds and appointments."""
