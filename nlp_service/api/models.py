"""Routes of models: list, look at one, publish, go back, pin."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from models.registry import read_registry
from nlp_service.api.names import Name
from nlp_service.api.permission import MAX_REASON_CHARS, TheCaller, TheService
from nlp_service.api.uploads import received_form
from nlp_service.change_registry import go_back, pin_consultation, unpin_consultation
from nlp_service.list_models import ListedModel, describe_model, list_codebooks, list_models, listed_entry
from nlp_service.publish_model import check_passed
from nlp_service.store.keys import Scope

router: Final = APIRouter(prefix="/v1")
_PIN: Final = "/consultations/{consultation:path}/pin"


class MarkdownResponse(Response):
    """Words in Markdown."""

    media_type = "text/markdown"


class ModelOut(BaseModel):
    """A model that can be asked for."""

    model: str
    codebook: str
    status: str
    is_published: bool


class ModelsOut(BaseModel):
    """The models of the registry, and the starter."""

    models: list[ModelOut]
    pins: dict[str, str] = Field(description="By consultation, of those that the key opens: the model pinned to it.")


class ModelWithReport(ModelOut):
    """A model with how it came into the registry."""

    at: str | None = Field(description="When it was put forward.")
    reason: str
    override: str | None = Field(description="Why it was published although the gate refused it.")
    gate: dict[str, Any] = Field(description="The gate's report; empty where there was no model to compare with.")


class ModelWithCard(ModelWithReport):
    """A model with its card."""

    card: dict[str, Any]


class PublishedOut(ModelWithReport):
    """A model that was published just now."""

    compared_with: str | None
    notes: list[str] = Field(description="What to know before the gate's word is trusted.")


class CodebooksOut(BaseModel):
    """Codebooks by id, each with the model that codes with it."""

    codebooks: dict[str, str]


class RollbackRequest(BaseModel):
    """Why to go back."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)] = ""


class PinRequest(BaseModel):
    """The model to pin."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[
        str, Field(min_length=1, max_length=200, description="The id of a model of the registry, or `starter`.")
    ]


class PinOut(BaseModel):
    """A consultation and the model that codes it."""

    consultation: str
    model: str


_Consultation = Annotated[Name, Path()]
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The files of a model folder as a zip file, without the folder.",
                        },
                        "override": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": MAX_REASON_CHARS,
                            "description": "Why to publish it even if the gate refuses; needs the scope admin.",
                        },
                    },
                }
            }
        },
    }
}


@router.get("/models", summary="Models")
def models(service: TheService, caller: TheCaller) -> ModelsOut:
    """Return the models that a batch or a call can be coded with, and the pins."""
    found = list_models(service.settings.registry)
    pins = read_registry(service.settings.registry).pins
    seen = {c: str(m) for c, m in sorted(pins.items()) if caller.consultation in (None, c)}
    return ModelsOut(models=[ModelOut(**_fields(m, ModelOut)) for m in found], pins=seen)


@router.post("/models", status_code=201, summary="Publish a model", openapi_extra=_UPLOAD)
async def publish(request: Request, service: TheService, caller: TheCaller) -> PublishedOut:
    """Let the gate compare an uploaded model with the one that codes now, on the fixed gold set; if it passes, it codes from now on."""
    caller.check_of_all()
    service.publisher.check_free()
    async with received_form(request, "model.zip", optional=("override",)) as (path, fields):
        override = caller.reason_to_override(fields.get("override"))
        done = await run_in_threadpool(
            service.publisher.publish, path, override=override, actor=caller.id, now=datetime.now(UTC)
        )
    check_passed(done)
    listed = listed_entry(await run_in_threadpool(read_registry, service.settings.registry), done.entry)
    out = PublishedOut(**_fields(listed, ModelWithReport), compared_with=done.compared_with, notes=list(done.notes))
    headers = {"Location": f"/v1/models/{listed.model}"}
    return JSONResponse(out.model_dump(mode="json"), 201, headers)  # type: ignore[return-value]


@router.get("/models/{model}", summary="A model")
def one(model: str, service: TheService, _caller: TheCaller) -> ModelWithCard:
    """Return a model by its id, how it came into the registry, and its card."""
    listed, card = describe_model(service.settings.registry, model)
    return ModelWithCard(**_fields(listed, ModelWithReport), card=dict(card.card))


@router.get(
    "/models/{model}/card",
    summary="A model's card in words",
    response_class=MarkdownResponse,
)
def card(model: str, service: TheService, _caller: TheCaller) -> MarkdownResponse:
    """Return the card as Markdown: what the model was trained on, how well it does, what its limits are."""
    return MarkdownResponse(describe_model(service.settings.registry, model)[1].text)


@router.get("/codebooks", summary="Codebooks")
def codebooks(service: TheService, _caller: TheCaller) -> CodebooksOut:
    """Return each codebook with the model that codes with it now."""
    return CodebooksOut(codebooks=list_codebooks(read_registry(service.settings.registry)))


@router.post("/codebooks/{codebook}/rollback", summary="Go back to the model before")
def rollback(
    codebook: str, service: TheService, caller: TheCaller, given: RollbackRequest | None = None
) -> CodebooksOut:
    """Let the model that coded before code again; batches that are being coded are left alone."""
    caller.check_of_all()
    after = go_back(
        service.database,
        service.settings.registry,
        codebook,
        reason=given.reason if given is not None else "",
        actor=caller.id,
        now=datetime.now(UTC),
    )
    return CodebooksOut(codebooks=list_codebooks(after))


@router.put(_PIN, summary="Pin a model to a consultation")
def pin(consultation: _Consultation, given: PinRequest, service: TheService, caller: TheCaller) -> PinOut:
    """Let one model code a consultation whatever is published later; one that the gate refused takes the scope admin."""
    where = caller.narrowed(consultation) or consultation
    pinned = pin_consultation(
        service.database,
        service.settings.registry,
        where,
        given.model,
        refused_too=caller.opens(Scope.ADMIN),
        actor=caller.id,
        now=datetime.now(UTC),
    )
    return PinOut(consultation=where, model=pinned)


@router.delete(_PIN, status_code=204, summary="Take a pin out")
def unpin(consultation: _Consultation, service: TheService, caller: TheCaller) -> Response:
    """Let the model in service code a consultation again."""
    where = caller.narrowed(consultation) or consultation
    unpin_consultation(service.database, service.settings.registry, where, actor=caller.id, now=datetime.now(UTC))
    return Response(status_code=204)


def _fields(listed: ListedModel, kind: type[BaseModel]) -> Mapping[str, Any]:
    return {name: getattr(listed, name) for name in kind.model_fields}
