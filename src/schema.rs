//! The tables as diesel sees them. Printed from the database (migrations/README.md); do not edit.

diesel::table! {
    activities (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        name_chinese -> Text,
        name_english -> Text,
        rules_chinese -> Text,
        rules_english -> Text,
        opens_at -> Timestamptz,
        closes_at -> Timestamptz,
        chances_per_holder -> Integer,
        claim_days -> Integer,
        state -> Text,
        review_remark -> Nullable<Text>,
        seed_commitment -> Nullable<Bytea>,
        sealed_seed -> Nullable<Bytea>,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        draws_at_once -> Integer,
        draws_per_day -> Nullable<Integer>,
        wins_per_holder -> Nullable<Integer>,
        wins_per_day -> Nullable<Integer>,
        revealed_seed -> Nullable<Bytea>,
        daily_chances -> Integer,
    }
}

diesel::table! {
    activity_counts (tenant_id, activity_id, span, starts_at, shard) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        span -> Text,
        starts_at -> Timestamptz,
        shard -> Integer,
        views -> BigInt,
        viewers -> BigInt,
        participants -> BigInt,
        draws -> BigInt,
        wins -> BigInt,
        claims -> BigInt,
    }
}

diesel::table! {
    activity_custom_rules (tenant_id, activity_id, kind) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        kind -> Text,
        custom_rule_id -> Uuid,
        parameters -> Json,
        decides -> Bool,
    }
}

diesel::table! {
    activity_tasks (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        position -> Integer,
        kind -> Text,
        name_chinese -> Text,
        name_english -> Text,
        link -> Nullable<Text>,
        chances -> Integer,
        times_per_day -> Nullable<Integer>,
        times_per_holder -> Nullable<Integer>,
        on_trust -> Bool,
    }
}

diesel::table! {
    activity_viewers (tenant_id, activity_id, holder_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        holder_id -> Uuid,
        minute -> Timestamptz,
        views -> BigInt,
    }
}

diesel::table! {
    airdrops (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        prize_id -> Uuid,
        row_count -> Integer,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    allotments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        collectible_id -> Nullable<Uuid>,
        activity_id -> Uuid,
        total -> Integer,
        available -> Integer,
        reserved -> Integer,
        issued -> Integer,
        void -> Integer,
        next_serial -> Integer,
        end_serial -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    api_client_secrets (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        client_id -> Uuid,
        secret_hash -> Bytea,
        hint -> Text,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    api_clients (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        scopes -> Text,
        allow_list -> Text,
        state -> Text,
        last_used_at -> Nullable<Timestamptz>,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    audit_links (tenant_id, sequence) {
        tenant_id -> Uuid,
        sequence -> BigInt,
        record_id -> Uuid,
        hash -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    audit_records (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        actor_kind -> Text,
        actor_id -> Uuid,
        action -> Text,
        subject_id -> Uuid,
        before_digest -> Nullable<Bytea>,
        after_digest -> Bytea,
        request_id -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    audit_waiting (tenant_id, record_id) {
        tenant_id -> Uuid,
        record_id -> Uuid,
    }
}

diesel::table! {
    blocked_phones (tenant_id, phone_hash) {
        tenant_id -> Uuid,
        phone_hash -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    branches (tenant_id, branch_id) {
        tenant_id -> Uuid,
        branch_id -> Uuid,
        corp_open_id -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    chance_entries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        holder_id -> Uuid,
        reason -> Text,
        delta -> Integer,
        subject_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    claims (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        holder_id -> Uuid,
        source -> Text,
        source_id -> Uuid,
        prize_id -> Uuid,
        collectible_id -> Nullable<Uuid>,
        allotment_id -> Uuid,
        serial -> Integer,
        state -> Text,
        deadline -> Nullable<Timestamptz>,
        transfer_id -> Nullable<Uuid>,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        kind -> Text,
        reference -> Nullable<Text>,
        delivery_reference -> Nullable<Text>,
        remark -> Nullable<Text>,
        taken_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    collectible_changes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        collectible_id -> Uuid,
        version -> Integer,
        action -> Text,
        actor_kind -> Text,
        actor_id -> Uuid,
        fields -> Json,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    collectible_stocks (tenant_id, collectible_id) {
        tenant_id -> Uuid,
        collectible_id -> Uuid,
        supply -> Integer,
        unallotted -> Integer,
        allotted -> Integer,
        next_serial -> Integer,
    }
}

diesel::table! {
    collectibles (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        series_id -> Uuid,
        name_chinese -> Text,
        name_english -> Text,
        description_chinese -> Text,
        description_english -> Text,
        author -> Text,
        image_url -> Text,
        supply -> Integer,
        first_serial -> Integer,
        state -> Text,
        review_remark -> Nullable<Text>,
        issued_count -> Integer,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        cover_id -> Nullable<Uuid>,
        media_id -> Nullable<Uuid>,
        media_sm3 -> Nullable<Bytea>,
        copyright_proof_id -> Nullable<Uuid>,
        filing_number -> Text,
        flag -> Text,
        metadata -> Text,
        attributes -> Json,
    }
}

diesel::table! {
    consultations (tenant_id, activity_id, holder_id, key) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        holder_id -> Uuid,
        key -> Text,
        input_hash -> Bytea,
        answer -> Nullable<Json>,
        asked_at -> Timestamptz,
        answered_at -> Nullable<Timestamptz>,
        drawn_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    custom_rules (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        name -> Text,
        url -> Text,
        digest -> Text,
        trailing_id -> Nullable<Text>,
        sealed_secrets -> Bytea,
        parameters -> Json,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    data_keys (tenant_id, version) {
        tenant_id -> Uuid,
        version -> Integer,
        wrapped_key -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    directory_entries (kind, key) {
        kind -> Text,
        key -> Text,
        tenant_id -> Uuid,
        subject_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    documents (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        media_type -> Nullable<Text>,
        size -> Nullable<BigInt>,
        sha256 -> Nullable<Bytea>,
        state -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    domains (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        host -> Text,
        filing_number -> Text,
        verification_token -> Text,
        state -> Text,
        failure -> Nullable<Text>,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    draw_anchors (tenant_id, activity_id, from_sequence) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        from_sequence -> BigInt,
        to_sequence -> BigInt,
        last_draw_id -> Uuid,
        beginning -> Bytea,
        head -> Bytea,
        root -> Bytea,
        lots_left -> Bytea,
        operation_id -> Uuid,
        state -> Text,
        block_number -> Nullable<BigInt>,
        position -> Nullable<Integer>,
        attempts -> Integer,
        due_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    draw_code_batches (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        task_id -> Uuid,
        count -> Integer,
        uses -> Integer,
        word -> Bool,
        sealed_secret -> Nullable<Bytea>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    draw_codes (tenant_id, activity_id, code_hash) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        code_hash -> Bytea,
        batch_id -> Uuid,
        uses_left -> Integer,
    }
}

diesel::table! {
    draw_lanes (tenant_id, activity_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        next_sequence -> BigInt,
        head_hash -> Bytea,
        last_draw_id -> Nullable<Uuid>,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    draw_origins (tenant_id, activity_id, mark, holder_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        mark -> Bytea,
        holder_id -> Uuid,
    }
}

diesel::table! {
    draw_terms (tenant_id, activity_id, version) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        version -> Integer,
        document -> Text,
        since -> Timestamptz,
        record_hash -> Bytea,
    }
}

diesel::table! {
    draw_watches (tenant_id, activity_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        day -> Integer,
        due_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    draws (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        plan_id -> Nullable<Uuid>,
        holder_id -> Uuid,
        sequence -> BigInt,
        client_seed -> Text,
        roll -> Nullable<Integer>,
        picked_prize_id -> Nullable<Uuid>,
        awarded_prize_id -> Nullable<Uuid>,
        serial -> Nullable<Integer>,
        claim_id -> Nullable<Uuid>,
        record_hash -> Bytea,
        created_at -> Timestamptz,
        version -> Integer,
        ordinal -> Integer,
        place -> Integer,
        open_plans -> BigInt,
        steps -> Bytea,
        lot -> Nullable<Integer>,
        ruling -> Nullable<Bytea>,
    }
}

diesel::table! {
    enterprises (tenant_id) {
        tenant_id -> Uuid,
        slug -> Text,
        name_chinese -> Text,
        name_english -> Text,
        kind -> Text,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        state_reason -> Nullable<Text>,
        partner_id -> Nullable<Uuid>,
        corp_open_id -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        times_disabled -> Integer,
    }
}

diesel::table! {
    event_sequences (tenant_id) {
        tenant_id -> Uuid,
        last_sequence -> BigInt,
    }
}

diesel::table! {
    events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        sequence -> BigInt,
        #[sql_name = "type"]
        type_ -> Text,
        subject_id -> Uuid,
        subject_version -> Integer,
        data -> Json,
        occurred_at -> Timestamptz,
        published_at -> Timestamptz,
    }
}

diesel::table! {
    evm_accounts (chain_id, address) {
        chain_id -> BigInt,
        address -> Bytea,
        lease_holder -> Nullable<Uuid>,
        lease_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    evm_attempts (tenant_id, transaction_id, hash) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        hash -> Bytea,
        nonce -> BigInt,
        max_fee -> BigInt,
        tip -> BigInt,
        created_at -> Timestamptz,
        sent_at -> Timestamptz,
    }
}

diesel::table! {
    evm_operations (tenant_id, operation_id) {
        tenant_id -> Uuid,
        operation_id -> Uuid,
        sequence_id -> Uuid,
        kind -> Text,
        collectible_id -> Uuid,
        payload -> Text,
        state -> Text,
        reverts -> Integer,
        transaction_id -> Nullable<Uuid>,
        block_number -> Nullable<BigInt>,
        log_index -> Nullable<Integer>,
        transaction_hash -> Nullable<Bytea>,
        reason -> Nullable<Text>,
        submitted_at -> Timestamptz,
    }
}

diesel::table! {
    evm_transactions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        chain_id -> BigInt,
        contract -> Bytea,
        gas_limit -> BigInt,
        state -> Text,
        account -> Nullable<Bytea>,
        nonce -> Nullable<BigInt>,
        block_number -> Nullable<BigInt>,
        block_hash -> Nullable<Bytea>,
        transaction_hash -> Nullable<Bytea>,
        missing_since -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    holder_identities (tenant_id, kind, key_hash) {
        tenant_id -> Uuid,
        kind -> Text,
        key_hash -> Bytea,
        key_sealed -> Bytea,
        holder_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    holder_tags (tenant_id, holder_id, tag) {
        tenant_id -> Uuid,
        holder_id -> Uuid,
        tag -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    holders (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        phone_hash -> Nullable<Bytea>,
        phone_sealed -> Nullable<Bytea>,
        phone_masked -> Nullable<Text>,
        nickname -> Text,
        version -> Integer,
        created_at -> Timestamptz,
        name_sealed -> Nullable<Bytea>,
        name_masked -> Nullable<Text>,
        id_number_sealed -> Nullable<Bytea>,
        id_number_hash -> Nullable<Bytea>,
        id_number_masked -> Nullable<Text>,
        verified_at -> Nullable<Timestamptz>,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (tenant_id, principal, operation, key) {
        tenant_id -> Uuid,
        principal -> Uuid,
        operation -> Text,
        key -> Text,
        input_hash -> Bytea,
        result -> Nullable<Json>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    invitations (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        sign_in -> Text,
        name -> Text,
        role -> Text,
        token_hash -> Bytea,
        invited_by -> Uuid,
        state -> Text,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    issuance_batches (tenant_id, collectible_id, number) {
        tenant_id -> Uuid,
        collectible_id -> Uuid,
        number -> Integer,
        operation_id -> Uuid,
        first_serial -> Integer,
        count -> Integer,
        refusals -> Integer,
        state -> Text,
    }
}

diesel::table! {
    issuances (tenant_id, collectible_id) {
        tenant_id -> Uuid,
        collectible_id -> Uuid,
        ledger -> Text,
        operation_id -> Uuid,
        batch_count -> Integer,
        confirmed_count -> Integer,
        failure -> Nullable<Text>,
        attempts -> Integer,
        due_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    items (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        collectible_id -> Uuid,
        serial -> Integer,
        holder_id -> Nullable<Uuid>,
        acquired_at -> Nullable<Timestamptz>,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_blocks (tenant_id, number) {
        tenant_id -> Uuid,
        number -> BigInt,
        previous_hash -> Bytea,
        hash -> Bytea,
        operation_count -> Integer,
        sealed_at -> Timestamptz,
        operations_root -> Bytea,
        subtrees -> Bytea,
    }
}

diesel::table! {
    ledger_checkpoints (tenant_id, tree_size) {
        tenant_id -> Uuid,
        tree_size -> BigInt,
        note -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    ledger_operations (tenant_id, operation_id) {
        tenant_id -> Uuid,
        operation_id -> Uuid,
        kind -> Text,
        payload -> Nullable<Text>,
        state -> Text,
        block_number -> Nullable<BigInt>,
        position -> Nullable<Integer>,
        submitted_at -> Timestamptz,
        collectible_id -> Nullable<Uuid>,
        first_serial -> Nullable<Integer>,
        piece_count -> Nullable<Integer>,
        from_holder_id -> Nullable<Uuid>,
        to_holder_id -> Nullable<Uuid>,
        ordinal -> Integer,
        leaf -> Nullable<Bytea>,
        refusal -> Nullable<Text>,
        digest -> Nullable<Bytea>,
    }
}

diesel::table! {
    manifest_entries (tenant_id, key) {
        tenant_id -> Uuid,
        key -> Text,
        subject_id -> Uuid,
        digest -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    media (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        file_name -> Text,
        media_type -> Text,
        size -> BigInt,
        sha256 -> Nullable<Bytea>,
        sm3 -> Nullable<Bytea>,
        width -> Nullable<Integer>,
        height -> Nullable<Integer>,
        state -> Text,
        same_as -> Nullable<Uuid>,
        moderation -> Text,
        moderation_remark -> Nullable<Text>,
        thumbnail -> Text,
        published_at -> Nullable<Timestamptz>,
        attempts -> Integer,
        due_at -> Timestamptz,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    merchants (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        channel -> Text,
        merchant_number -> Text,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    offers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        collectible_id -> Uuid,
        merchant_id -> Uuid,
        position -> Integer,
        price_minor -> BigInt,
        currency -> Text,
        quantity -> Integer,
        limit_per_holder -> Integer,
        allotment_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    operators (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        sign_in -> Nullable<Text>,
        name -> Text,
        role -> Text,
        password_hash -> Nullable<Text>,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
        totp_sealed -> Nullable<Bytea>,
        totp_confirmed_at -> Nullable<Timestamptz>,
        totp_step -> BigInt,
        sso_connection_id -> Nullable<Uuid>,
        sso_subject -> Nullable<Text>,
    }
}

diesel::table! {
    order_lines (tenant_id, order_id, position) {
        tenant_id -> Uuid,
        order_id -> Uuid,
        position -> Integer,
        holder_id -> Uuid,
        offer_id -> Uuid,
        collectible_id -> Uuid,
        quantity -> Integer,
        unit_price_minor -> BigInt,
        first_serial -> Nullable<Integer>,
    }
}

diesel::table! {
    orders (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        number -> Text,
        activity_id -> Uuid,
        merchant_id -> Uuid,
        holder_id -> Uuid,
        state -> Text,
        total_minor -> BigInt,
        currency -> Text,
        undelivered -> Integer,
        expires_at -> Timestamptz,
        paid_at -> Nullable<Timestamptz>,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    outbox (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        #[sql_name = "type"]
        type_ -> Text,
        subject_id -> Uuid,
        subject_version -> Integer,
        data -> Json,
        occurred_at -> Timestamptz,
    }
}

diesel::table! {
    participants (tenant_id, activity_id, holder_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        holder_id -> Uuid,
        granted -> Integer,
        used -> Integer,
        joined_at -> Timestamptz,
        wins -> Integer,
        day -> Integer,
        day_draws -> Integer,
        day_wins -> Integer,
        day_free -> Integer,
    }
}

diesel::table! {
    participation_phones (tenant_id, activity_id, phone_hash) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        phone_hash -> Bytea,
    }
}

diesel::table! {
    participation_rules (tenant_id, activity_id) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        phone_bound -> Bool,
        real_named -> Bool,
        first_time -> Bool,
        listed -> Bool,
        points_at_least -> Nullable<BigInt>,
        points_cost -> Nullable<BigInt>,
        holders_per_device -> Nullable<Integer>,
        holders_per_address -> Nullable<Integer>,
    }
}

diesel::table! {
    participation_tags (tenant_id, activity_id, tag) {
        tenant_id -> Uuid,
        activity_id -> Uuid,
        tag -> Text,
        excluded -> Bool,
    }
}

diesel::table! {
    payments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        order_id -> Uuid,
        holder_id -> Uuid,
        merchant_id -> Uuid,
        channel -> Text,
        channel_transaction_id -> Text,
        amount_minor -> BigInt,
        currency -> Text,
        state -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    persons (person_key, tenant_id) {
        person_key -> Bytea,
        tenant_id -> Uuid,
        holder_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    point_accounts (tenant_id, holder_id) {
        tenant_id -> Uuid,
        holder_id -> Uuid,
        balance -> BigInt,
    }
}

diesel::table! {
    point_entries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        holder_id -> Uuid,
        reason -> Text,
        delta -> BigInt,
        reference -> Nullable<Text>,
        subject_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    prize_claim_codes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        prize_id -> Uuid,
        position -> Integer,
        code_hash -> Bytea,
        sealed_code -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    prize_days (tenant_id, prize_id, day) {
        tenant_id -> Uuid,
        prize_id -> Uuid,
        day -> Integer,
        wins -> Integer,
    }
}

diesel::table! {
    prize_lots (tenant_id, prize_id, position) {
        tenant_id -> Uuid,
        prize_id -> Uuid,
        position -> Integer,
        collectible_id -> Nullable<Uuid>,
        quantity -> Integer,
        allotment_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    prize_plan_tags (tenant_id, plan_id, tag) {
        tenant_id -> Uuid,
        plan_id -> Uuid,
        tag -> Text,
    }
}

diesel::table! {
    prize_plans (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        activity_id -> Uuid,
        version -> Integer,
        created_at -> Timestamptz,
        position -> Integer,
        for_chosen -> Bool,
        starts_at -> Nullable<Timestamptz>,
        ends_at -> Nullable<Timestamptz>,
        priority -> Integer,
        overlays -> Bool,
        falls_through -> Bool,
        exhaustion -> Text,
        published -> Bool,
    }
}

diesel::table! {
    prize_tallies (tenant_id, prize_id, holder_id) {
        tenant_id -> Uuid,
        prize_id -> Uuid,
        holder_id -> Uuid,
        wins -> Integer,
    }
}

diesel::table! {
    prizes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        plan_id -> Uuid,
        position -> Integer,
        level -> Integer,
        name_chinese -> Text,
        name_english -> Text,
        odds_per_million -> Integer,
        wins_per_holder -> Nullable<Integer>,
        wins_per_day -> Nullable<Integer>,
        paced -> Bool,
        fallback -> Bool,
        published -> Bool,
        kind -> Text,
        points -> Nullable<BigInt>,
        reference -> Nullable<Text>,
        instructions_chinese -> Text,
        instructions_english -> Text,
        reviewed -> Bool,
    }
}

diesel::table! {
    published_claim_codes (tenant_id, code_hash) {
        tenant_id -> Uuid,
        code_hash -> Bytea,
    }
}

diesel::table! {
    purchase_tallies (tenant_id, offer_id, holder_id) {
        tenant_id -> Uuid,
        offer_id -> Uuid,
        holder_id -> Uuid,
        quantity -> Integer,
    }
}

diesel::table! {
    qualifications (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        number -> Text,
        document_id -> Uuid,
        expires_at -> Nullable<Timestamptz>,
        state -> Text,
        review_remark -> Nullable<Text>,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    real_name_verifications (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        holder_id -> Uuid,
        provider -> Text,
        result -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    recovery_codes (tenant_id, operator_id, code_hash) {
        tenant_id -> Uuid,
        operator_id -> Uuid,
        code_hash -> Bytea,
        used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    refresh_tokens (tenant_id, token_hash) {
        tenant_id -> Uuid,
        token_hash -> Bytea,
        session_id -> Uuid,
        used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    reviews (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_kind -> Text,
        subject_id -> Uuid,
        state -> Text,
        remark -> Nullable<Text>,
        reviewer_id -> Nullable<Uuid>,
        submitted_at -> Timestamptz,
        decided_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    series (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name_chinese -> Text,
        name_english -> Text,
        description_chinese -> Text,
        description_english -> Text,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        cover_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    series_changes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        series_id -> Uuid,
        version -> Integer,
        action -> Text,
        actor_kind -> Text,
        actor_id -> Uuid,
        fields -> Json,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_kind -> Text,
        subject_id -> Uuid,
        method -> Text,
        client -> Text,
        address -> Text,
        used_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        revoked_because -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sso_attempts (tenant_id, state_hash) {
        tenant_id -> Uuid,
        state_hash -> Bytea,
        connection_id -> Uuid,
        browser_hash -> Bytea,
        verifier_sealed -> Bytea,
        nonce_hash -> Bytea,
        origin -> Nullable<Text>,
        expires_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sso_connections (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        issuer -> Text,
        client_id -> Text,
        client_secret_sealed -> Nullable<Bytea>,
        scopes -> Text,
        role_claim -> Text,
        roles -> Json,
        default_role -> Nullable<Text>,
        branch_claim -> Nullable<Text>,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sso_keys (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        profile -> Text,
        public_jwk -> Nullable<Json>,
        secret_sealed -> Nullable<Bytea>,
        roles -> Json,
        default_role -> Nullable<Text>,
        state -> Text,
        version -> Integer,
        last_used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sso_origins (tenant_id, origin) {
        tenant_id -> Uuid,
        origin -> Text,
        state -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sso_tickets (tenant_id, ticket_hash) {
        tenant_id -> Uuid,
        ticket_hash -> Bytea,
        vouched_by -> Uuid,
        voucher_id -> Uuid,
        operator_id -> Uuid,
        method -> Text,
        origin -> Nullable<Text>,
        nonce_hash -> Nullable<Bytea>,
        expires_at -> Timestamptz,
        spent_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    stock_entries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        allotment_id -> Uuid,
        reason -> Text,
        subject_id -> Uuid,
        available_delta -> Integer,
        reserved_delta -> Integer,
        issued_delta -> Integer,
        void_delta -> Integer,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    task_completions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        task_id -> Uuid,
        holder_id -> Uuid,
        day -> Integer,
        chances -> Integer,
        reference -> Nullable<Text>,
        code_hash -> Nullable<Bytea>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    throttles (tenant_id, kind, key) {
        tenant_id -> Uuid,
        kind -> Text,
        key -> Bytea,
        count -> Integer,
        began_at -> Timestamptz,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    transfers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        item_id -> Uuid,
        from_holder_id -> Nullable<Uuid>,
        to_holder_id -> Uuid,
        cause -> Text,
        cause_id -> Uuid,
        state -> Text,
        failure -> Nullable<Text>,
        attempts -> Integer,
        due_at -> Timestamptz,
        version -> Integer,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        ledger -> Text,
    }
}

diesel::table! {
    used_assertions (tenant_id, assertion_hash) {
        tenant_id -> Uuid,
        assertion_hash -> Bytea,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    verification_codes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        purpose -> Text,
        phone_hash -> Bytea,
        code_hash -> Bytea,
        attempts -> Integer,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    wechat_apps (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        app_id -> Text,
        secret_sealed -> Bytea,
        state -> Text,
        version -> Integer,
        created_at -> Timestamptz,
    }
}
