"""SearchService (proto/hum/v1/search.proto)."""

from control.base.principal import has_scope
from control.base.wire import value
from control.boundary import TransactionContext
from control.search import search
from hum.v1 import search_pb2 as pb

DEFAULT_RESULTS = 5


class SearchServicer:
    """The servicer of the search."""

    async def Search(self, request: pb.SearchRequest, ctx: TransactionContext) -> pb.SearchResponse:
        is_person = ctx.principal.key_id is None
        kinds = [kind for kind, scope in search.SCOPES.items() if is_person or has_scope(ctx.principal.scopes, scope)]
        most = request.limit if request.HasField("limit") else DEFAULT_RESULTS
        found = await search.find(ctx.tx, request.q, kinds, most)
        return pb.SearchResponse(groups=[_group(kind, matches) for kind, matches in found.items() if matches])


def _group(kind: str, matches: list[search.Match]) -> pb.SearchGroup:
    return pb.SearchGroup(
        kind=value(pb.SearchKind, kind),
        results=[pb.SearchResult(id=match.id, title=match.title, subtitle=match.subtitle) for match in matches],
    )
