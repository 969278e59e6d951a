"""Runs generators so that their observation is the innermost one inside of them, and not in between.

A generator shares the context of who iterates. So the observation is entered for each step.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, wraps
from typing import Any

from llmvitals.integrations.observation import Observation


def observed_generator(
    begin: Callable[[], Observation], function: Callable[..., Generator[Any, Any, Any]]
) -> Callable[..., Generator[Any, Any, Any]]:
    """A function with the same items and result. An observation begins with the first step."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        observation = begin()
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = partial(next, generator)
        try:
            while True:
                with observation.entered():
                    item = step()
                _item(observation)
                try:
                    given = yield item
                except GeneratorExit:
                    with observation.entered():
                        generator.close()
                    observation.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's
                    step = partial(generator.throw, error)
                else:
                    step = partial(generator.send, given)
        except StopIteration as end:
            return end.value
        except BaseException as error:
            observation.fail(error)
            raise
        finally:
            observation.end()

    return wrapper


def observed_async_generator(
    begin: Callable[[], Observation], function: Callable[..., AsyncGenerator[Any, Any]]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """A function with the same items. An observation begins with the first step."""

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        observation = begin()
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__anext__
        try:
            while True:
                with observation.entered():
                    item = await step()
                _item(observation)
                try:
                    given = yield item
                except GeneratorExit:
                    with observation.entered():
                        await generator.aclose()
                    observation.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's
                    step = partial(generator.athrow, error)
                else:
                    step = partial(generator.asend, given)
        except StopAsyncIteration:
            return
        except BaseException as error:
            observation.fail(error)
            raise
        finally:
            observation.end()

    return wrapper


def _item(observation: Observation) -> None:
    observation.first_token()
    observation.set(stream=True)
