"""Agents: training loops that sample for themselves. See `pgcheck.external.agents`."""

from pgcheck.external.agents import Agent as Agent
from pgcheck.external.agents import AgentFunction as AgentFunction
from pgcheck.external.agents import agent as agent
from pgcheck.external.agents import sb3 as sb3
from pgcheck.external.scripts import script as script
