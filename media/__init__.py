from media import native

native.prefer()
