"""Our tag names. State lives in tags, so that a person, another tool and a restored stack all see the same."""

from __future__ import annotations

PREFIX = "snapkeep:"
"""The beginning of all of them, but for the original system's."""
MANAGED = "snapkeep:managed"
"""Value: the system's name (`snapkeep` and the stacks' `FunctionNameSuffix`). Without it nothing is changed or deleted."""
POLICY = "snapkeep:policy"
SOURCE_VOLUME = "snapkeep:source-volume"
SOURCE_REGION = "snapkeep:source-region"
SOURCE_SNAPSHOT = "snapkeep:source-snapshot"
SOURCE_START = "snapkeep:source-start"
CHECK = "snapkeep:check"
"""On copies alone: what their check found, so that it outlives the queue entry. Value: WRONG; a good copy has none."""
WRONG = "wrong"
PROOF = "snapkeep:proof"
"""On copies alone: the verdict, the method and the time of their strongest proof. `domain.recovery.proof.Proof.tag`."""

SET = "snapkeep:set"
"""The lowest snapshot id of a multi-volume set; a single snapshot has none."""
INSTANCE = "snapkeep:instance"
DEVICE = "snapkeep:device"
RECORD = "snapkeep:record"
"""The beginning of the hash of the recovery record."""
RECOVERY_TAGS = (SET, INSTANCE, DEVICE, RECORD)
"""The tags by which recovery recognizes a snapshot. They are written where there is room, before the volume's own tags."""

MADE = "snapkeep:made"
"""On snapshots that the system made itself: when it intended to. It is written in the call that makes them."""
CONSISTENCY = "snapkeep:consistency"
"""On snapshots that the system made by a policy with a command before them, and on their copies: whether that succeeded."""
APPLICATION, CRASH = "application", "crash"
HOLD = "snapkeep:hold"
"""On a snapshot that is held (INV-18). The policy of the role that deletes names this key. Value: one of the holders."""
HOLDER = f"{HOLD}:"
"""The beginning of a key for each recovery that holds a snapshot: `snapkeep:hold:<run>`. Value: since when."""
RECOVERY = "snapkeep:recovery"
"""On what a recovery made: the recovery's name. Snapkeep never deletes it, except when a person undoes that recovery (INV-20)."""
RECOVERY_STEP = "snapkeep:recovery-step"

DRILL = "snapkeep:drill"
"""On what a drill made, and on nothing else: the drill's run. Without it a drill removes nothing (INV-16)."""
SYSTEM = "snapkeep:system"
"""On what a drill made: whose it is. Value: the system's name. The resources of the stacks have it too."""
DRILL_END = "snapkeep:drill-end"
"""On resources of a drill: its latest end. Sweeps remove what is left after that (INV-17)."""

DRILL_NETWORK = "snapkeep:drill-network"
"""On the subnet and the security group that instance drills launch in. Value: the system's name."""

VAULT = "snapkeep:vault"
"""On a DR copy while it is shared with a vault. Value: the vault's name, and since when."""
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
