"""Transfers of calls to telephones."""
