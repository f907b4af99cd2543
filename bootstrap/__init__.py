"""Add Windows nodes to Kubernetes clusters that kops made on AWS, keep them right, rebuild them."""

__version__ = "0.1.0"
