"""Trying out: flows tried by text, proposed and heard; nothing of it is stored."""
