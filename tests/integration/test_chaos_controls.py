"""The judge of the chaos runs tells wrong from right: each negative control is caught, each right twin passes."""

import pytest

from chaos.controls import CONTROLS, Control, try_control
from tests.support.brokers import KafkaAddress
from tests.support.databases import Databases


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
async def test_a_control_is_caught_and_the_right_one_passes(
    control: Control, databases: Databases, broker: KafkaAddress
) -> None:
    result = await try_control(control, databases, broker)
    assert set(result.caught_by) >= control.breaks, result.violations
    assert result.right_violations == ()
    assert result.ok
