"""Sign-in forms. Passwords are never sent back to the page."""

from __future__ import annotations

from functools import partial
from typing import Any

from wtforms import EmailField, PasswordField, SelectChoice, SelectField, StringField, ValidationError

from webapp.access.permissions import Role
from webapp.db import get_settings
from webapp.errors import N_
from webapp.users import rules
from webapp.web.forms import Form, VersionField, follows
from webapp.web.language import gettext


class SignInForm(Form):
    email = EmailField(N_("E-mail"))
    password = PasswordField(N_("Password"))

    def validate_email(self, field: EmailField) -> None:
        if not (field.data or "").strip():
            raise ValidationError(gettext("Enter your e-mail address."))

    def validate_password(self, field: PasswordField) -> None:
        if not field.data:
            raise ValidationError(gettext("Enter your password."))


class ConfirmationForm(Form):
    password = PasswordField(N_("Password"))


class NewPasswordForm(Form):
    new_password = PasswordField(N_("New password"))
    confirm_password = PasswordField(N_("The same again"))

    def __init__(
        self, *args: Any, role: Role = Role.MEMBER, email: str = "", full_name: str = "", **kwargs: Any
    ) -> None:
        """Whose password it is: the rules depend on that."""
        super().__init__(*args, **kwargs)
        self._rule = partial(
            rules.clean_password, role=role, email=email, full_name=full_name, settings=get_settings()
        )
        self.new_password.description = gettext(
            "At least %(least)s characters. Three or four unrelated words work well.",
            least=rules.password_min_length(role, get_settings()),
        )

    def validate_new_password(self, field: PasswordField) -> None:
        follows(self._rule)(self, field)

    def validate_confirm_password(self, field: PasswordField) -> None:
        if field.data != self.new_password.data:
            raise ValidationError(gettext("The two are not the same."))


class ChangePasswordForm(NewPasswordForm):
    current_password = PasswordField(N_("Present password"))

    def validate_current_password(self, field: PasswordField) -> None:
        if not field.data:
            raise ValidationError(gettext("Enter your present password."))


class ProfileForm(Form):
    full_name = StringField(N_("Full name"), validators=[follows(rules.clean_full_name)])
    language = SelectField(N_("Language"), choices=[], validate_choice=False)
    time_zone = StringField(
        N_("Time zone"),
        description=N_("Leave it empty to use your browser’s."),
        validators=[follows(rules.clean_time_zone)],
    )
    version = VersionField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        browser = SelectChoice(value="", label=gettext("The browser’s"))
        self.language.choices = [
            browser,
            *(SelectChoice(value=code, label=name) for code, name in rules.LANGUAGES.items()),
        ]

    def validate_language(self, field: SelectField) -> None:
        follows(rules.clean_language)(self, field)
