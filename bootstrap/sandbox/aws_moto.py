"""The one door to moto: sets what it reads at import, and takes its global state down and up.

moto keeps one AWS for the whole process, so there can be one ``AwsWorld`` per process at a time.
"""

from __future__ import annotations

import json
import os
from typing import Any

from bootstrap.resources import data_path

AMIS_PATH = data_path("config") / "sandbox" / "amis.json"
"""Linux images that kops clusters use, and Windows Server 2019 to 2025; the ids are invented."""
# Read when moto.ec2 is imported; without it moto parses 5 MB of images that nobody needs.
os.environ.setdefault("MOTO_AMIS_PATH", str(AMIS_PATH))

from moto import settings  # noqa: E402
from moto.core.base_backend import BackendDict  # noqa: E402
from moto.core.model_instances import reset_model_data  # noqa: E402
from moto.core.models import DEFAULT_ACCOUNT_ID  # noqa: E402
from moto.moto_api._internal import mock_random  # noqa: E402

ACCOUNT: str = DEFAULT_ACCOUNT_ID
"""moto's only account, 123456789012."""


def forget_everything() -> None:
    """Drop every backend, so that the next request finds moto as in a new process."""
    from moto.ec2.models import amis

    BackendDict.reset()
    reset_model_data()
    amis.AMIS = json.loads(AMIS_PATH.read_text())
    validate_launches(on=False)


def validate_launches(*, on: bool) -> None:
    """Have RunInstances refuse unknown images, types and keys, as EC2 does.

    Off during a replay: a recording may name images that the list above does not have.
    """
    settings.ENABLE_AMI_VALIDATION = on
    settings.ENABLE_KEYPAIR_VALIDATION = on
    settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = on


def seed(number: int) -> None:
    """Seed moto's random numbers, of which it makes its ids."""
    mock_random.seed(number)


def ec2(region: str) -> Any:
    """The EC2 backend of a region."""
    from moto.ec2.models import ec2_backends

    return ec2_backends[ACCOUNT][region]


def autoscaling(region: str) -> Any:
    """The Auto Scaling backend of a region."""
    from moto.autoscaling.models import autoscaling_backends

    return autoscaling_backends[ACCOUNT][region]


def load_balancers(region: str) -> list[Any]:
    """Network, application and classic load balancers of a region."""
    from moto.elb.models import elb_backends
    from moto.elbv2.models import elbv2_backends

    newer = list(elbv2_backends[ACCOUNT][region].load_balancers.values())
    return newer + list(elb_backends[ACCOUNT][region].load_balancers.values())


def route53() -> Any:
    """The Route53 backend."""
    from moto.route53.models import route53_backends

    return route53_backends[ACCOUNT]["aws"]


def s3() -> Any:
    """The S3 backend."""
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def ssm(region: str) -> Any:
    """The SSM backend of a region."""
    from moto.ssm.models import ssm_backends

    return ssm_backends[ACCOUNT][region]
