"""Attention layers."""
from graphnet.layers.attention.attention import AdditiveAttention as AdditiveAttention
from graphnet.layers.attention.attention import Attention as Attention
from graphnet.layers.attention.grouped_query_attention import GroupedQueryAttention as GroupQueryAttention
from graphnet.layers.attention.grouped_query_attention import GroupedQueryAttention as GroupedQueryAttention
from graphnet.layers.attention.multi_head_attention import MultiHeadAttention as MultiHeadAttention

__all__ = ["AdditiveAttention", "Attention", "GroupQueryAttention", "GroupedQueryAttention", "MultiHeadAttention"]
