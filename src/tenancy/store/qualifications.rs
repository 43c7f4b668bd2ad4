//! SQL over qualifications.

use diesel::{ExpressionMethods, update};

use crate::platform::fault::Fault;
use crate::schema::qualifications;
use crate::tenancy::model::{QualificationId, QualificationState};
use crate::tenancy::scope::TenantTx;

pub async fn decide_in(
    tx: &TenantTx,
    id: QualificationId,
    state: QualificationState,
    remark: Option<&str>,
) -> Result<(), Fault> {
    let statement = update(qualifications::table)
        .filter(qualifications::tenant_id.eq(tx.tenant()))
        .filter(qualifications::id.eq(id))
        .filter(qualifications::state.eq(QualificationState::Pending))
        .set((
            qualifications::state.eq(state),
            qualifications::review_remark.eq(remark.map(str::to_owned)),
            qualifications::version.eq(qualifications::version + 1),
        ));
    tx.execute_exactly(1, statement).await
}
