"""The names of Snapkeep's tags. Tags hold the state, so that people, other tools and a restored stack all see the same."""

from __future__ import annotations

PREFIX = "snapkeep:"
"""The prefix of all of them, except those of the original system."""
MANAGED = "snapkeep:managed"
"""Value: the system's name (`snapkeep` and the stacks' `FunctionNameSuffix`). Without it nothing is changed or deleted."""
POLICY = "snapkeep:policy"
SOURCE_VOLUME = "snapkeep:source-volume"
SOURCE_REGION = "snapkeep:source-region"
SOURCE_SNAPSHOT = "snapkeep:source-snapshot"
SOURCE_START = "snapkeep:source-start"
CHECK = "snapkeep:check"
"""Only on copies: the result of their check, which outlives the queue entry. Value: WRONG; a good copy has none."""
WRONG = "wrong"
PROOF = "snapkeep:proof"
"""Only on copies: the verdict, the method and the time of their strongest proof. `domain.recovery.proof.Proof.tag`."""

SET = "snapkeep:set"
"""The lowest snapshot id of a multi-volume set; a single snapshot has none."""
INSTANCE = "snapkeep:instance"
DEVICE = "snapkeep:device"
RECORD = "snapkeep:record"
"""The first characters of the hash of the recovery record."""
RECOVERY_TAGS = (SET, INSTANCE, DEVICE, RECORD)
"""The tags by which recovery recognizes a snapshot. If there is room, they are written before the volume's own tags."""

MADE = "snapkeep:made"
"""On snapshots that the system made itself: the time of the intention. The call that makes them writes it."""
CONSISTENCY = "snapkeep:consistency"
"""On snapshots that the system made after a command of their policy, and on their copies: whether the command succeeded."""
APPLICATION, CRASH = "application", "crash"
HOLD = "snapkeep:hold"
"""On a snapshot that is held (INV-18). The policy of the role that deletes names this key. Value: one of the holders."""
HOLDER = f"{HOLD}:"
"""The prefix of a key for each recovery that holds a snapshot: `snapkeep:hold:<run>`. Value: the start of the hold."""
RECOVERY = "snapkeep:recovery"
"""On resources of a recovery: the recovery's name. Snapkeep never deletes them, except when a person undoes the recovery
(INV-20)."""
RECOVERY_STEP = "snapkeep:recovery-step"

DRILL = "snapkeep:drill"
"""Only on resources of a drill: the drill's run. A drill removes nothing without this tag (INV-16)."""
SYSTEM = "snapkeep:system"
"""On resources of a drill, and of the stacks: the system that owns them. Value: the system's name."""
DRILL_END = "snapkeep:drill-end"
"""On resources of a drill: its latest end. Sweeps remove them after that (INV-17)."""

DRILL_NETWORK = "snapkeep:drill-network"
"""On the subnet and the security group of instance drills. Value: the system's name."""

VAULT = "snapkeep:vault"
"""On a DR copy while it is shared with a vault. Value: the vault's name, and the time of the share."""
VAULT_COPY = "snapkeep:vault-copy"
"""On a DR copy that a vault has copied. Value: the vault's name, and the id of its copy."""

ORIGINAL_NAME = "AutomatedSnapName"
"""The original system's: `<volume id>_<start time>`."""
ORIGINAL_VOLUME = "OriginalVolumeId"
ORIGINAL_REGION = "OriginalRegion"

SNAPSHOT_TAGS = (MANAGED, POLICY, SOURCE_VOLUME, ORIGINAL_NAME, ORIGINAL_VOLUME)
"""The tags of every managed source snapshot; copies have more."""
OWN_TAGS = frozenset(
    (
        *SNAPSHOT_TAGS,
        *RECOVERY_TAGS,
        SOURCE_REGION,
        SOURCE_SNAPSHOT,
        SOURCE_START,
        CHECK,
        PROOF,
        VAULT,
        VAULT_COPY,
        ORIGINAL_REGION,
        CONSISTENCY,
    )
)
