"""How the service behaves: `MOODLINE_SERVE_*` in the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServeSettings(BaseSettings):
    """The service's own settings, each from `MOODLINE_SERVE_<NAME>` in the environment.

    Attributes:
        profile: which speech models to load: demo, paper, a YAML file, or a profile as JSON.
        pointer: the file that says which model version is served (see `serving.served`).
        at_once: recordings analysed at the same time by one process; the models use all cores.
        waiting: recordings that may wait for their turn; more are answered 429.
        timeout: seconds until a request is answered 504.
        clip_deadline: seconds for the model's answer to one clip.
    """

    model_config = SettingsConfigDict(env_prefix="MOODLINE_SERVE_", frozen=True, extra="ignore")

    profile: str = "demo"
    pointer: Path = Path(".moodline/serving/served.json")
    at_once: int = Field(default=1, ge=1)
    waiting: int = Field(default=8, ge=0)
    timeout: int = Field(default=1800, ge=1)
    clip_deadline: float = Field(default=30.0, gt=0)

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, paths absolute, for a child process."""
        return {
            f"MOODLINE_SERVE_{name.upper()}": str(
                value.resolve() if isinstance(value, Path) else value
            )
            for name, value in self.model_dump().items()
        }
