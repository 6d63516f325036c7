"""Knowledge: documents in which agents look things up."""

from hum.settings.base import Common, setting


class KnowledgeSettings(Common):
    """Limits on documents, their conversion, and their search."""

    knowledge_documents: int = setting(
        "HUM_KNOWLEDGE_DOCUMENTS", 500, "documents of knowledge that an organization may have", ge=1
    )
    knowledge_passages: int = setting(
        "HUM_KNOWLEDGE_PASSAGES",
        20_000,
        "passages that all documents of an organization may have together; a look-up takes longer with each",
        ge=1,
    )
    knowledge_bytes: int = setting(
        "HUM_KNOWLEDGE_BYTES", 8 << 20, "the largest document; what is sent is limited by HUM_IMPORT_BYTES too", ge=1024,
        le=15 << 20,
    )  # fmt: skip
    knowledge_pages: int = setting("HUM_KNOWLEDGE_PAGES", 1000, "pages of the longest PDF", ge=1)
    knowledge_chars: int = setting(
        "HUM_KNOWLEDGE_CHARS", 4_000_000, "characters of text that a document may have once it is converted", ge=1000
    )
    knowledge_memory_bytes: int = setting(
        "HUM_KNOWLEDGE_MEMORY_BYTES",
        512 << 20,
        "memory that the conversion of one document may take, in a process of its own",
        ge=128 << 20,
    )
    knowledge_cpu_seconds: int = setting(
        "HUM_KNOWLEDGE_CPU_SECONDS", 60, "seconds that the conversion of one document may compute", ge=1
    )
    knowledge_convert_seconds: float = setting(
        "HUM_KNOWLEDGE_CONVERT_SECONDS", 120.0, "seconds that the conversion of one document may take", gt=0, le=600
    )
    knowledge_fetch_seconds: float = setting(
        "HUM_KNOWLEDGE_FETCH_SECONDS", 20.0, "seconds that a document's server has to answer", gt=0, le=30
    )
    knowledge_stuck_seconds: float = setting(
        "HUM_KNOWLEDGE_STUCK_SECONDS",
        3600.0,
        "seconds after which a document that no worker converted has failed",
        gt=0,
    )
    knowledge_lookup_seconds: float = setting(
        "HUM_KNOWLEDGE_LOOKUP_SECONDS", 3.0, "seconds after which an agent's look-up is given up", gt=0, le=10
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
    embedding_query_seconds: float = setting(
        "HUM_EMBEDDING_QUERY_SECONDS",
        0.2,
        "seconds that a look-up waits for the embedding of what is asked; after that it finds by words only",
        gt=0,
    )
    knowledge_vector_bytes: int = setting(
        "HUM_KNOWLEDGE_VECTOR_BYTES",
        256 << 20,
        "bytes of documents' vectors that a process keeps in memory; 10 000 passages with 512 numbers are 20 MB",
        ge=0,
    )
    embedding_seconds: float = setting(
        "HUM_EMBEDDING_SECONDS", 30.0, "seconds to wait for the embeddings of a batch of passages", gt=0
    )
    embedding_retry_seconds: float = setting(
        "HUM_EMBEDDING_RETRY_SECONDS",
        900.0,
        "seconds until a document is embedded again whose embeddings failed, or are another model's",
        gt=0,
    )
