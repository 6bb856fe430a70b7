"""What runs a node's pods: Kubernetes' own kubelet, or KubeEdge's edgecore."""

from edgelab.agents.agent import Agent
from edgelab.agents.edgecore import Edgecore
from edgelab.agents.kubelet import Kubelet
from edgelab.config import Kind

AGENTS: dict[Kind, Agent] = {"edge": Kubelet(), "cloud": Kubelet(), "kubeedge": Edgecore()}
