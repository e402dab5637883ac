"""The composed model as vLLM sees it: configuration, processor, tokenizer, model and loading."""
