"""Colours, shapes and system fonts of Gradio's own widgets; assets/style.css does the rest."""

from __future__ import annotations

import gradio as gr

FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")

THEME = gr.themes.Base(
    primary_hue="indigo",
    secondary_hue="indigo",
    neutral_hue="slate",
    radius_size="md",
    font=FONTS,
    font_mono=MONO,
).set(
    body_background_fill="#f6f7fb",
    body_background_fill_dark="#0e1220",
    background_fill_primary="#ffffff",
    background_fill_primary_dark="#171c2c",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_border_width="0px",
    block_border_width_dark="0px",
    block_padding="0px",
    block_shadow="none",
    block_title_text_weight="550",
    block_title_text_size="13px",
    block_title_text_color="#1e2433",
    block_title_text_color_dark="#e4e8f3",
    block_info_text_size="12px",
    block_info_text_color="#5a6478",
    block_info_text_color_dark="#9aa5bd",
    input_background_fill="#ffffff",
    input_background_fill_dark="#0f1424",
    input_border_color="#d5dae6",
    input_border_color_dark="#333c54",
    input_border_color_focus="#6366f1",
    input_border_color_focus_dark="#8b93ff",
    input_border_width="1px",
    input_border_width_dark="1px",
    input_shadow="none",
    input_shadow_focus="0 0 0 3px rgb(99 102 241 / 0.18)",
    input_shadow_focus_dark="0 0 0 3px rgb(139 147 255 / 0.22)",
    input_radius="8px",
    form_gap_width="0px",
    layout_gap="16px",
    button_large_radius="10px",
    button_large_text_weight="600",
    button_primary_background_fill="#4f46e5",
    button_primary_background_fill_hover="#4338ca",
    button_primary_background_fill_dark="#5b54ee",
    button_primary_background_fill_hover_dark="#4f46e5",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
    button_primary_border_color="transparent",
    button_primary_border_color_dark="transparent",
    checkbox_background_color_selected="#4f46e5",
    checkbox_background_color_selected_dark="#5b54ee",
    checkbox_label_background_fill="transparent",
    checkbox_label_background_fill_dark="transparent",
)
