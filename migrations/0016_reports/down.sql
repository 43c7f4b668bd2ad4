-- Views are known from nowhere else and are lost; the rest can be counted again.

DROP TABLE activity_viewers;
DROP TABLE activity_counts;
