"""`/docs`: the contract as pages for people, without any script.

`operations` and `objects` say what the OpenAPI document holds, `snippets` writes a request in three languages, `prose` is
docs/contract.md in parts, `search` finds, `site` composes all of it into pages, `serving` answers with them.
"""
