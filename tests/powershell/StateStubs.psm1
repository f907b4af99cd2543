<#
What a script reads of Windows beyond WindowsStubs, which is imported first: answers are rows of "state" in STUB_STATE.
Commands that remove something work on the state of WindowsStubs, so that both modules see one Windows.
#>
Set-StrictMode -Version Latest

$Shared = Get-Module -Name 'WindowsStubs'
$State = & $Shared { $State }

function Save-Removal {
    param([string]$Command, [object[]]$Arguments)
    & $Shared { param($Name, $Given) Save-Change -Command $Name -Arguments $Given } $Command $Arguments
}

function Get-Row {
    param([string]$Name)
    if ($State.broken -contains $Name) { throw "$Name cannot be read" }
    $found = $State.rows.PSObject.Properties[$Name]
    if ($null -eq $found) { return }
    return $found.Value
}

function Get-CimInstance {
    [CmdletBinding()]
    param([string]$ClassName, [string]$Filter)
    $rows = @(Get-Row -Name $ClassName)
    if ($Filter -like 'Name=*') { $rows = @($rows | Where-Object { $_.Name -eq $Filter.Split("'")[1] }) }
    return $rows
}

function Get-Process {
    [CmdletBinding()]
    param([int]$Id)
    return @(Get-Row -Name 'Process' | Where-Object { $_.Id -eq $Id })
}

function Get-HnsNetwork { return $State.networks | ForEach-Object { $_ } }
function Get-HnsEndpoint { return Get-Row -Name 'HnsEndpoint' }
function Get-HnsPolicyList { return Get-Row -Name 'HnsPolicyList' }

function Get-NetIPAddress {
    [CmdletBinding()]
    param([string]$IPAddress, [string]$AddressFamily)
    return @($State.addresses | Where-Object { -not $IPAddress -or $_.IPAddress -eq $IPAddress })
}

function Get-NetRoute {
    [CmdletBinding()]
    param([string]$DestinationPrefix, [string]$AddressFamily)
    return @($State.routes | Where-Object { -not $DestinationPrefix -or $_.DestinationPrefix -eq $DestinationPrefix })
}

function Get-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name)
    return @(Get-Row -Name 'NetFirewallRule' | Where-Object { $_.Name -like $Name })
}

function Get-WinEvent {
    [CmdletBinding()]
    param([hashtable]$FilterHashtable, [int]$MaxEvents)
    return @(Get-Row -Name 'WinEvent' | Where-Object { $_.LogName -eq $FilterHashtable.LogName })
}

function Remove-Row {
    param([string]$Name, $Row)
    $State.rows.$Name = @($State.rows.$Name | Where-Object { $_ -ne $Row })
}

function Remove-HnsEndpoint {
    [CmdletBinding()]
    param([Parameter(ValueFromPipeline = $true)]$Endpoint)
    process {
        Remove-Row -Name 'HnsEndpoint' -Row $Endpoint
        Save-Removal -Command 'Remove-HnsEndpoint' -Arguments @($Endpoint.Name)
    }
}

function Remove-HnsPolicyList {
    [CmdletBinding()]
    param([Parameter(ValueFromPipeline = $true)]$List)
    process {
        if ($State.broken -contains 'Remove-HnsPolicyList') { throw 'Element not found.' }
        Remove-Row -Name 'HnsPolicyList' -Row $List
        Save-Removal -Command 'Remove-HnsPolicyList' -Arguments @('a list')
    }
}

function Remove-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name)
    $State.rows.NetFirewallRule = @($State.rows.NetFirewallRule | Where-Object { $_.Name -ne $Name })
    Save-Removal -Command 'Remove-NetFirewallRule' -Arguments @($Name)
}

Export-ModuleMember -Function '*-*' -Variable @()
