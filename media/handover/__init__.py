"""The handover of live calls from one media process to another on the same machine: decision 80."""
