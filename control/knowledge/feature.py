"""The feature `knowledge`: its service, the jobs that convert and embed, their sweep, and the agents' tool."""

from control.base.egress import Policy
from control.feature import Deps, Feature, Sweep
from control.knowledge import formats
from control.knowledge.jobs import Conversions
from control.knowledge.search import DocumentSearch
from control.knowledge.servicer import KnowledgeServicer
from control.knowledge.tools import lookup_knowledge
from control.knowledge.usecases import DocumentBounds
from control.knowledge.vectors import VectorCache
from hum.settings import ControlSettings
from hum.v1 import knowledge_pb2

#: Seconds after which an agent's look-up is given up.
KNOWLEDGE_LOOKUP_SECONDS = 3.0
#: Seconds that a look-up waits for the embedding of what is asked; after that it finds by words only.
EMBEDDING_QUERY_SECONDS = 0.2
#: Bytes of documents' vectors that a process keeps in memory; 10 000 passages with 512 numbers are 20 MB.
KNOWLEDGE_VECTOR_BYTES = 256 << 20


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    embedder = deps.clients.embedder
    conversions = Conversions(deps.db, deps.web, embedder, settings)
    seconds, cache = EMBEDDING_QUERY_SECONDS, VectorCache(KNOWLEDGE_VECTOR_BYTES)
    # The pool of calls: an agent's caller waits, and must not queue behind other requests.
    tool = lookup_knowledge(
        DocumentSearch(deps.calls_db, embedder, seconds, cache), round(KNOWLEDGE_LOOKUP_SECONDS * 1000)
    )
    servicer = KnowledgeServicer(
        deps.db,
        deps.cursors,
        DocumentSearch(deps.db, embedder, seconds, cache),
        DocumentBounds(settings, Policy(settings.egress_networks)),
    )
    return Feature(
        services={knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]: servicer},
        jobs={formats.CONVERT: conversions.convert, formats.EMBED: conversions.embed},
        sweeps=[Sweep("knowledge", conversions.enqueue_due_documents, settings.sweep_seconds)],
        tools=[tool],
    )
