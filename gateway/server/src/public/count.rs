//! `POST /v1/messages/count_tokens`: the number that an account's upstream tells, or an estimate made here, because most
//! of a pool cannot be asked.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway_core::counting;
use gateway_core::ports::Transport;
use gateway_core::stage::{Call, Early, INLINE_DECODE_BYTES, Received, Route, bad_turn, identify};
use gateway_domain::{Failure, FailureKind, RequestId};
use gateway_protocol::messages;
use http::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::turns::{refuse_unread, take_headers};
use crate::AppState;
use crate::body::{self, MAX_TURN_BYTES};
use crate::peer::peer_of;

/// The request's model and our estimate.
struct Estimated {
    model: String,
    tokens: u64,
}

pub(crate) async fn count_tokens(State(state): State<AppState>, mut request: Request) -> Response {
    let (id, at, started) = (RequestId::generate(), state.gateway.now(), Instant::now());
    let route = Route::Call(Call::CountTokens);
    let peer = peer_of(&request);
    if let Err(failure) = identify(&state.gateway.keys(), peer, request.headers()) {
        return refuse_unread(&state, route, &failure, &id, started);
    }
    let headers = take_headers(&mut request);
    let read = async {
        let body = body::read(request, MAX_TURN_BYTES).await?;
        Ok((estimated(&body).await?, body))
    };
    let (estimated, body) = match read.await {
        Ok(read) => read,
        Err(failure) => return refuse_unread(&state, route, &failure, &id, started),
    };
    let received = Received {
        id,
        at,
        started,
        route,
        peer,
        transport: Transport::Http,
        headers,
        body,
        backend: None,
        early: Arc::<Early>::default(),
    };
    let counted = counting::count_tokens(&state.gateway, received, &estimated.model).await;
    let counted = counted.unwrap_or_else(|| messages::count_body(estimated.tokens).into());
    ([(CONTENT_TYPE, "application/json")], counted).into_response()
}

/// A large request is read on a thread of its own.
async fn estimated(body: &Bytes) -> Result<Estimated, Failure> {
    if body.len() <= INLINE_DECODE_BYTES {
        return estimate(body);
    }
    let body = body.clone();
    tokio::task::spawn_blocking(move || estimate(&body))
        .await
        .map_err(|_| Failure::gateway(FailureKind::Internal, "reading the body failed"))?
}

fn estimate(body: &[u8]) -> Result<Estimated, Failure> {
    let asked = messages::decode_count_request(body).map_err(|error| bad_turn(&error))?.request;
    Ok(Estimated { tokens: messages::estimate_input_tokens(&asked), model: asked.model })
}
