"""`/docs`: the contract as pages for people, without any script.

`operations` and `objects` read the OpenAPI document, `snippets` writes a request in three languages, `prose` splits
docs/contract.md into sections, `search` indexes the pages, `site` composes them, `serving` has the routes.
"""
