"""What the services on Hugging Face transformers share. Nothing else in the kit imports torch."""
