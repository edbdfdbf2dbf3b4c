"""Callbacks: what is told of each beginning and end in training, evaluation and prediction, and acts on it."""
from graphnet.callbacks.backup_and_restore import BackupAndRestore
from graphnet.callbacks.callback import Callback
from graphnet.callbacks.callback_list import CallbackList
from graphnet.callbacks.csv_logger import CSVLogger
from graphnet.callbacks.early_stopping import EarlyStopping
from graphnet.callbacks.history import History
from graphnet.callbacks.lambda_callback import LambdaCallback
from graphnet.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from graphnet.callbacks.model_checkpoint import ModelCheckpoint
from graphnet.callbacks.progbar_logger import ProgbarLogger
from graphnet.callbacks.remote_monitor import RemoteMonitor
from graphnet.callbacks.swap_ema_weights import SwapEMAWeights
from graphnet.callbacks.tensorboard import TensorBoard
from graphnet.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "RemoteMonitor",
    "SwapEMAWeights", "TensorBoard", "TerminateOnNaN",
]
