"""EC2 and its neighbours (SSM parameters, ELB, Auto Scaling, STS) through boto3.

Answers are read by ``planning.aws_parsing``, refusals by ``planning.aws_failures``; this package
makes the calls.
"""

from bootstrap.adapters.ec2.clients import AwsClients, open_session
from bootstrap.adapters.ec2.instances import Ec2InstanceStore

__all__ = ["AwsClients", "Ec2InstanceStore", "open_session"]
