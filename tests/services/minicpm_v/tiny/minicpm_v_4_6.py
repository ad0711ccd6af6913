"""MiniCPM-V 4.6."""

import _minicpm
import transformers as hf


def make():
    processor = _minicpm.processor(hf.MiniCPMV4_6Processor)
    config = hf.MiniCPMV4_6Config(
        text_config=_minicpm.text_config(),
        vision_config=_minicpm.VISION,
        insert_layer_id=1,
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
    )
    return hf.MiniCPMV4_6ForConditionalGeneration(config), processor
