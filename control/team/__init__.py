"""Teams: members, their roles, invitations."""
