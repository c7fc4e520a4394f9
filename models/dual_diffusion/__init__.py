"""D-DiT, one diffusion transformer that draws and answers: its parts, its two samplers, its adapter."""
