"""The size of a list's page, which its query and its cursor agree on."""

#: A page of a list with large rows ends with the row that reaches so many bytes.
PAGE_BYTES = 1 << 20
