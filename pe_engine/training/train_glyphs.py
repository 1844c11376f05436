"""Train the bundled miniature, a Stable Diffusion that writes the 62 letters and digits.

    python -m pe_engine.training.train_glyphs OUT [--minutes 100] [--device cpu]

First the autoencoder learns to compress 32 x 32 pictures to 8 x 8 x 4 latents (a tenth of the
time), then the text encoder and the UNet learn together to undo noise in these latents, as
Stable Diffusion does, from the captions. The learning rates fall with the time that has passed,
so that any number of minutes gives a finished model. All is saved to OUT in fp16, with
``training.json``: seed, time, steps and losses.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pe_engine.training import parts
from pe_engine.training.captions import caption
from pe_engine.training.renderings import Renderings, split_fonts

SEED = 0
BATCH = 128
POOL = 160_000  # pictures whose latents the UNet learns from
CAPTIONS_EACH = 4  # captions drawn once for each of them
KL_WEIGHT = 1e-4
NO_CAPTION = 0.1  # how often the caption is left out, for guidance
AVERAGING = 0.999
MIN_SNR = 5.0  # Hang et al., "Efficient Diffusion Training via Min-SNR Weighting", 2023


class Clock:
    """How much of a time budget has passed, and the learning rate that this means."""

    def __init__(self, minutes: float, highest: float) -> None:
        self._end, self._start, self._highest = 60 * minutes, time.monotonic(), highest
        self.steps = 0

    def passed(self) -> float:
        return (time.monotonic() - self._start) / self._end

    def rate(self) -> float:
        """A warm-up of 200 steps, then a cosine down to a hundredth of the highest rate."""
        warm = min(1.0, (self.steps + 1) / 200)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.passed())))
        return self._highest * warm * (0.01 + 0.99 * fall)


def to_pixels(grey: np.ndarray, device: str) -> torch.Tensor:
    """uint8 ``(n, 32, 32)`` as three channels in [-1, 1], ``(n, 3, 32, 32)``."""
    values = torch.from_numpy(grey).to(device).float().div_(127.5).sub_(1)
    return values[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def minimise(loss: torch.Tensor, optimiser: torch.optim.Optimizer, clock: Clock) -> None:
    for group in optimiser.param_groups:
        group["lr"] = clock.rate()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(
        [p for group in optimiser.param_groups for p in group["params"]], 1.0
    )
    optimiser.step()
    optimiser.zero_grad()
    clock.steps += 1


def train_autoencoder(pictures: Renderings, minutes: float, device: str):
    """The autoencoder, and its losses: mean absolute plus squared error and a small KL term."""
    vae = parts.autoencoder().to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(vae.parameters(), weight_decay=1e-4, fused=True)
    clock, losses = Clock(minutes, 1e-3), []
    while clock.passed() < 1:
        pixels = to_pixels(pictures.draw(BATCH)[0], device)
        with torch.autocast(device, torch.bfloat16):
            mean, log_variance = vae.quant_conv(vae.encoder(pixels)).float().chunk(2, dim=1)
            log_variance = log_variance.clamp(-30, 20)
            latents = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            again = vae.decode(latents).sample.float()
        error = (again - pixels).abs().mean() + 4 * functional.mse_loss(again, pixels)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        minimise(error + KL_WEIGHT * kl, optimiser, clock)
        if clock.steps % 50 == 0:
            losses.append([clock.steps, round(error.item(), 4), round(kl.item(), 3)])
            print("autoencoder", *losses[-1], f"{clock.passed():.0%}", flush=True)
    return vae.eval(), losses


def take_autoencoder(folder: Path, device: str):
    """The autoencoder of an earlier training, and its losses."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", dtype=torch.float32).to(device)
    losses = json.loads((folder / "training.json").read_text())["autoencoder: step, error, kl"]
    return vae.to(memory_format=torch.channels_last).eval(), losses


@torch.inference_mode()
def encode_pool(vae, pictures: Renderings, words, device: str):
    """Latents of unit variance ``(POOL, 4, 8, 8)``, their caption tokens
    ``(POOL, CAPTIONS_EACH, TOKENS)``; sets the autoencoder's scaling factor."""
    rng, latents, texts = np.random.default_rng(SEED + 1), [], []
    for start in range(0, POOL, 1000):
        grey, looks = pictures.draw(min(1000, POOL - start))
        with torch.autocast(device, torch.bfloat16):
            latents.append(vae.encode(to_pixels(grey, device)).latent_dist.mean.float())
        texts += [caption(look, rng) for look in looks for _ in range(CAPTIONS_EACH)]
    latents = torch.cat(latents)
    vae.register_to_config(scaling_factor=1 / latents.std().item())
    tokens = tokenise(words, texts).view(POOL, CAPTIONS_EACH, parts.TOKENS)
    return latents * vae.config.scaling_factor, tokens.to(device)


def tokenise(words, texts: list[str]) -> torch.Tensor:
    return words(
        texts, padding="max_length", max_length=parts.TOKENS, truncation=True, return_tensors="pt"
    ).input_ids


def train_unet(latents, tokens, words, minutes: float, device: str, save):
    """The text encoder and the UNet, averaged over the last steps; ``save`` is called at times."""
    from diffusers import DDPMScheduler
    from diffusers.models.attention_processor import AttnProcessor

    text, unet = parts.text_encoder(words).to(device), parts.unet().to(device)
    unet.to(memory_format=torch.channels_last)
    averages = [copy.deepcopy(model).eval().requires_grad_(False) for model in (text, unet)]
    # On a CPU the backward pass of torch's fused attention takes a third of the whole time.
    unet.set_attn_processor(AttnProcessor())
    noise_schedule = DDPMScheduler(**parts.schedule())
    strength = noise_schedule.alphas_cumprod.to(device)
    nothing = tokenise(words, [""]).to(device)
    learned = [*text.parameters(), *unet.parameters()]
    optimiser = torch.optim.AdamW(learned, weight_decay=1e-2, betas=(0.9, 0.99), fused=True)
    clock, losses, recent, saved = Clock(minutes, 1e-3), [], [], 0.0
    while clock.passed() < 1:
        rows = torch.randint(len(latents), (BATCH,), device=device)
        which = torch.randint(CAPTIONS_EACH, (BATCH,), device=device)
        said = tokens[rows, which]
        said = torch.where(torch.rand(BATCH, 1, device=device) < NO_CAPTION, nothing, said)
        clean, noise = latents[rows], torch.randn(BATCH, *latents.shape[1:], device=device)
        t = torch.randint(1000, (BATCH,), device=device)
        with torch.autocast(device, torch.bfloat16):
            guess = unet(
                noise_schedule.add_noise(clean, noise, t), t, text(said).last_hidden_state
            ).sample
        errors = (guess.float() - noise_schedule.get_velocity(clean, noise, t)).square()
        snr = strength[t] / (1 - strength[t])
        weight = snr.clamp(max=MIN_SNR) / (snr + 1)
        minimise((weight * errors.mean((1, 2, 3))).mean(), optimiser, clock)
        recent.append(errors.mean().item())
        keep = min(AVERAGING, (1 + clock.steps) / (10 + clock.steps))
        for average, model in zip(averages, (text, unet), strict=True):
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast.detach(), 1 - keep)
        if clock.steps % 100 == 0:
            losses.append([clock.steps, round(float(np.mean(recent)), 4)])
            recent = []
            print("unet", *losses[-1], f"{clock.passed():.1%}", flush=True)
        if clock.passed() - saved > 0.05:
            saved = clock.passed()
            save(*averages, losses)
    return *averages, losses


def main() -> None:
    """Train for the minutes asked for and save the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write the pipeline to")
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument(
        "--autoencoder", type=Path, help="take the autoencoder of this pipeline's folder"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()

    torch.manual_seed(SEED)
    started = time.monotonic()
    pictures = Renderings(split_fonts()[0], SEED)
    rng = np.random.default_rng(SEED)
    words = parts.tokenizer(caption(look, rng) for look in pictures.draw(20_000)[1])
    share = 0.1 * options.minutes
    if options.autoencoder:
        vae, vae_losses = take_autoencoder(options.autoencoder, options.device)
    else:
        vae, vae_losses = train_autoencoder(pictures, share, options.device)
    latents, tokens = encode_pool(vae, pictures, words, options.device)

    def save(text, unet, losses) -> None:
        pipeline = parts.assemble(words, text, vae, unet)
        half = copy.deepcopy({n: m for n, m in pipeline.components.items() if hasattr(m, "half")})
        for model in half.values():
            model.half()
        pipeline = parts.assemble(words, half["text_encoder"], half["vae"], half["unet"])
        pipeline.save_pretrained(options.out)
        record = {
            "seed": SEED,
            "batch": BATCH,
            "pictures": POOL,
            "device": options.device,
            "minutes": round((time.monotonic() - started) / 60, 1),
            "autoencoder: step, error, kl": vae_losses,
            "unet: step, squared error": losses,
        }
        (options.out / "training.json").write_text(json.dumps(record, indent=1))

    left = options.minutes - (time.monotonic() - started) / 60
    save(*train_unet(latents, tokens, words, left, options.device, save))


if __name__ == "__main__":
    main()
