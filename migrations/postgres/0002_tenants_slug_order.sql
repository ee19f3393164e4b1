-- Lists are in the order of bytes, whatever the database's own collation; an index serves only the collation it was made with.
create index tenants_slug_order on tenants (slug collate "C") where status <> 'purged';
