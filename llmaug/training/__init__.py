"""From a corpus to a better retriever: pairs, hard negatives, training, and a gate behind it."""
