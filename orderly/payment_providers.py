"""Creates the payment providers that the settings name."""

from __future__ import annotations

from integrations.payments.provider import PaymentProvider
from integrations.payments.sandbox import SandboxProvider
from integrations.payments.stripe import StripeProvider
from orderly.settings import Settings


def sandbox_provider(settings: Settings) -> SandboxProvider:
    """Return the sandbox of the shop."""
    secret = settings.sandbox_secret
    return SandboxProvider(settings.data_dir, secret=None if secret is None else secret.encode())


def payment_providers(settings: Settings) -> dict[str, PaymentProvider]:
    """Return the payment providers by name. `Settings` has validated that they can be created."""
    providers: list[PaymentProvider] = []
    if settings.stripe_secret_key is not None and settings.stripe_webhook_secret is not None:
        providers.append(
            StripeProvider(
                settings.stripe_secret_key,
                settings.stripe_webhook_secret,
                api_base=settings.stripe_url,
            )
        )
    if settings.sandbox_payments:
        providers.append(sandbox_provider(settings))
    return {provider.name: provider for provider in providers}
