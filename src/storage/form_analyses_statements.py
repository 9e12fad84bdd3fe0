"""The SQL of `storage.form_analyses`: the set that an analysis is of, and the analyses of a set."""

from storage.document_statements import STORED
from storage.pages import bounded

# The set's video.
SET = """
    SELECT s.video_id
    FROM trainings t JOIN training_sets s ON s.user_id = t.user_id AND s.training_id = t.id
    WHERE t.user_id = %(user_id)s AND t.id = %(training_id)s AND t.deleted_at IS NULL AND NOT t.hidden
      AND s.exercise_id = %(exercise_id)s AND s.id = %(set_id)s
"""

# No row where there is no such set, one without an analysis where it has none (any more). Sets of two exercises may
# have the same id.
_ADDED = bounded(
    f"""
    SELECT {STORED} FROM form_analyses d
    WHERE d.user_id = %(user_id)s AND d.training_id = %(training_id)s AND d.set_id = %(set_id)s
      AND d.content ->> 'exercise_id' = %(exercise_id)s::text AND d.deleted_at IS NULL
      AND (%(after_moment)s::timestamptz IS NULL
           OR (d.created_at, d.id) < (%(after_moment)s::timestamptz, %(after_id)s::uuid))
    ORDER BY d.created_at DESC, d.id DESC
    LIMIT %(limit)s""",
    order="created_at DESC, id DESC",
    text="content",
)
PAGE = f"""
SELECT d.* FROM ({SET}) s LEFT JOIN ({_ADDED}
) d ON true
ORDER BY d.created_at DESC, d.id DESC
"""
