"""The feature of review: tags and notes on calls, voicemails, the blocklist."""

from control.feature import Deps, Feature
from control.review.servicer import ReviewServicer
from hum.settings import ControlSettings
from hum.v1 import review_pb2


def feature(settings: ControlSettings, deps: Deps) -> Feature:
    servicer = ReviewServicer(deps, settings)
    return Feature(services={review_pb2.DESCRIPTOR.services_by_name["ReviewService"]: servicer})
