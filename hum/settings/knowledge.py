"""Knowledge: documents in which agents look things up."""

from hum.settings.base import Common, constant, setting


class KnowledgeSettings(Common):
    """Limits on documents, their conversion, and their search."""

    knowledge_documents: int = constant(500, "documents of knowledge that an organization may have", ge=1)
    knowledge_passages: int = constant(
        20_000,
        "passages that all documents of an organization may have together; a look-up takes longer with each",
        ge=1,
    )
    knowledge_bytes: int = constant(8 << 20, "the largest document; what is sent is limited by `import_bytes` too", ge=1024,
        le=15 << 20,
    )  # fmt: skip
    knowledge_pages: int = constant(1000, "pages of the longest PDF", ge=1)
    knowledge_chars: int = constant(
        4_000_000, "characters of text that a document may have once it is converted", ge=1000
    )
    knowledge_memory_bytes: int = constant(
        512 << 20,
        "memory that the conversion of one document may take, in a process of its own",
        ge=128 << 20,
    )
    knowledge_cpu_seconds: int = constant(60, "seconds that the conversion of one document may compute", ge=1)
    knowledge_convert_seconds: float = constant(
        120.0, "seconds that the conversion of one document may take", gt=0, le=600
    )
    knowledge_fetch_seconds: float = constant(20.0, "seconds that a document's server has to answer", gt=0, le=30)
    knowledge_stuck_seconds: float = constant(
        3600.0,
        "seconds after which a document that no worker converted has failed",
        gt=0,
    )
    embedding_model: str = setting(
        "HUM_EMBEDDING_MODEL",
        "text-embedding-3-small",
        "model at {OPENAI_BASE_URL}/embeddings by which knowledge is found by its meaning; empty: by its words only",
    )
    embedding_dimensions: int = setting(
        "HUM_EMBEDDING_DIMENSIONS",
        512,
        "numbers of each embedding, which the model must be able to make",
        ge=32,
        le=3072,
    )
