ALTER TABLE claims ADD CONSTRAINT claims_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
ALTER TABLE participants ADD CONSTRAINT participants_holder_fkey FOREIGN KEY (tenant_id, holder_id) REFERENCES holders (tenant_id, id);
