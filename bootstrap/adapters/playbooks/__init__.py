"""Our playbooks through ansible-runner.

``runner`` runs them, ``run_folder`` holds what a run needs on disk and ends what it started,
``events`` turns ansible-runner's events into ours.
"""

from bootstrap.adapters.playbooks.runner import AnsiblePlaybookRunner

__all__ = ["AnsiblePlaybookRunner"]
