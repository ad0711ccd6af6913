"""OpenAI's chat completions behind the contract: what a request holds, and what its replies mean."""
