"""Transfers of calls to people's telephones."""
