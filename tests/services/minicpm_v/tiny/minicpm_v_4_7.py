"""MiniCPM-V 4.7: positions of three dimensions, that of a slice its place on the whole."""

import _minicpm
import transformers as hf


def make():
    processor = _minicpm.processor(hf.MiniCPMV4_7Processor)
    tokenizer = processor.tokenizer
    config = hf.MiniCPMV4_7Config(
        text_config=_minicpm.text_config(mrope_section=[1, 1, 0]),
        vision_config=_minicpm.VISION,
        insert_layer_id=1,
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
        image_start_id=tokenizer.image_start_token_id,
        image_end_id=tokenizer.image_end_token_id,
        slice_start_id=tokenizer.slice_start_token_id,
        slice_end_id=tokenizer.slice_end_token_id,
        newline_id=tokenizer.encode("\n")[0],
    )
    return hf.MiniCPMV4_7ForConditionalGeneration(config), processor
